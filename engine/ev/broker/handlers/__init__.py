"""One file per API, named by its key: the listing is the table of contents of the protocol."""
