"""Exact solutions of small problems, to hold what agents learn against."""
