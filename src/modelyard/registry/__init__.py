"""What is known: tables, engine and one repository a subject. All SQL of the project lives here."""
