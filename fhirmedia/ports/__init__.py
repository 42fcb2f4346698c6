"""What custody asks of technology, as protocols that speak domain values and name no product."""
