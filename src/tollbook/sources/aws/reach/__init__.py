"""Which accounts and regions are read, and with which rights."""
