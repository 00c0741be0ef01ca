"""Days that were read before and cannot change any more."""
