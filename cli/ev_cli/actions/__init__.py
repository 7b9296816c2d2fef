"""What the commands do. One module per noun or verb, imported when it runs; no Typer in here."""
