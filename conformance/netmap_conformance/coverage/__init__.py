"""How much is covered: source lines by clauses, rules by scenarios, deleted rules by scenarios that fail.

``lines``      which lines of a C source do nothing, decided from the text alone
``sources``    every other line against the clauses that cite it; the history's revisions against a table
``rules``      which rules the scenarios fire, and which never
``deletion``   a rule deleted from a copy of the model's syntax tree
``statements`` what the model's statements are, seen by their syntax
``copies``     a copy of the model, with or without a rule, imported beside the real one
``knockout``   the scenarios that must notice the deletion of each rule
"""
