"""The logic service of the ticket shop: events, their stock, and orders that are kept.

It stands alone: it imports nothing of Flametest, and its folder is all that its image needs. Only the frontend talks
to it.
"""
