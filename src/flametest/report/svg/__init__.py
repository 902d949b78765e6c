"""Charts as inline SVG, drawn without a browser: one module a chart, above shared scales and one shared frame."""
