"""The paper's figures: each module has `data` (what is plotted, pure) and `draw`."""
