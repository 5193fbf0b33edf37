"""Does the product keep its word? See __main__.py."""
