"""From a query's features to an answer: recall, explain, rank."""
