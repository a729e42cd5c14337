"""What netmap promises: clauses, ABI tables, schemas, invariants, test vectors. No behaviour."""
