"""From run directories to pictures, and exact solutions to hold what agents learn against."""
