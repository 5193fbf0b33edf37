"""Networks whose classifier sees features of all depths, not of the last layer alone."""
