"""The database below the store: tables, connections, the study lock, the write journal."""
