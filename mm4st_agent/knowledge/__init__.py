"""Domain texts and events, searched as of a moment, cited by span."""
