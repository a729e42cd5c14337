"""How a ring picture is drawn: ``text`` for terminals and logs, ``svg`` for pages."""
