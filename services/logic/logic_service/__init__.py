"""The logic service of the ticket shop: events, their stock, and orders that are kept.

It imports nothing of Flametest: its folder and the package servicekit are all that its image needs. Only the frontend
talks to it.
"""
