"""Records in: tables, SQL, bundled and simulated sets, and the contract they are held to."""
