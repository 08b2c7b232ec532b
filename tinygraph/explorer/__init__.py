"""A page that explains a graph: its picture, values, rules, and the chain rule step by step."""
