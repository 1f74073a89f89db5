"""The generated pages of the documentation, made from the program itself.

`python -m thingstead.reference docs` writes them; a test compares them, so a page that no
longer tells the truth fails the build. Never edit those pages by hand.
"""
