"""Driver models, and a checker that holds them to the clauses ``14.driver.*``.

Begin with ``README.md``, the page for driver authors; then :mod:`.native`, a driver written out, and
:mod:`.checker`, which refuses those of :mod:`.planted`, each by its clause.
"""
