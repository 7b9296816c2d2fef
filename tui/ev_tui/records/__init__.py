"""Records on their way from a cluster to the screen: read by a thread, kept in a ring, shown as text. Nothing here knows Textual."""
