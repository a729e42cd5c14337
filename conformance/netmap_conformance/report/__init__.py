"""The report: everything that was found out about every clause, on one page.

``matrix`` ties clauses to rules, proofs, scenarios and mutants; ``results`` reads what the commands
left in ``build/results``; ``page`` turns both into one self-contained HTML file, ``summary`` into JSON.
"""
