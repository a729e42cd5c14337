"""Random campaigns: a model under weighted random operations, measured by the invariants of the contract."""
