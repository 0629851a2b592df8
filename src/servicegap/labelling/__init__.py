"""People label: rounds, places for labels, consensus, adjudication, progress.

A *round* draws responses and makes *slots*, each wanting one more person's label of a response. A person
takes a slot, saves a label (an annotation, append-only), and the gold label follows in the same
transaction. Works alike on SQLite and PostgreSQL. Not here: the pages (web/) and the formulas of agreement
(agreement/).
"""
