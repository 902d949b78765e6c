"""The api service of the system under test: a greeting, a counter in Redis, visits kept in PostgreSQL.

It stands alone: it imports nothing of Flametest, and its folder is all that its image needs.
"""
