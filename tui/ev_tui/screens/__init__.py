"""One file a screen; ev_tui.pages has the list."""
