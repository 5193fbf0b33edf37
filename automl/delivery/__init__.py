"""What people do with a delivered model: export it to other formats."""
