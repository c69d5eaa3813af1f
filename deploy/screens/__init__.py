"""What people see: lists, tables, pages, and the words for times, sizes and addresses."""
