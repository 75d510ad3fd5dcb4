"""The paper's tables: each module has `build`, which returns a `tables.table.Table`."""
