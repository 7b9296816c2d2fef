"""The command line of ev.

__main__    start: a generated table parses the ordinary command line, Typer everything else
app         the command tree as Typer sees it; commands/ declares how each noun and verb is spelled
actions/    what they do; imported when they run
tables/     parser tables, generated from the tree by cli/generate/parser_tables.py
session     which engine is meant; local_engine starts, finds and stops the one of this machine
output      stdout is data, stderr is talk
failures    one line and an exit status
"""
