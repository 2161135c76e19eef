"""The agent: graph, evidence ledger, claim checker, chat models."""
