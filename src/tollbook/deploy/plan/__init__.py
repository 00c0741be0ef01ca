"""What is asked for, what it comes to, and how that is shown: nothing here asks anybody."""
