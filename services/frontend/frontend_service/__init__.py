"""The frontend service: the only door to the ticket shop, as a web page for people and as JSON for programs.

It stands alone: it imports nothing of Flametest, and its folder is all that its image needs. It keeps nothing; all
that it shows comes from the logic service, and while that is away it says so in a friendly way and in time.
"""
