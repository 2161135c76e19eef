"""One file for each tool the agent can call."""
