"""The frontend service: the only door to the ticket shop, as a web page for people and as JSON for programs.

It imports nothing of Flametest: its folder and the package servicekit are all that its image needs. It keeps nothing;
all that it shows comes from the logic service, and while that is away it says so in a friendly way and in time.
"""
