"""The page where people see and end what they have given."""
