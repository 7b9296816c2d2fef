"""Pure coordinators: (state, event, now) to a Decision."""
