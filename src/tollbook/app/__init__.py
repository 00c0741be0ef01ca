"""The composition root: it knows the clock, the user's folders and which parts make an answer."""
