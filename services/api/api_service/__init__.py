"""The api service of the system under test: a greeting, a counter in Redis, visits kept in PostgreSQL.

It imports nothing of Flametest: its folder and the package servicekit are all that its image needs.
"""
