"""The page `index.html`: all results in a single HTML file that needs no network."""
