"""Tables that regenerate with one command each: `minigen bench NAME`, a module a table."""
