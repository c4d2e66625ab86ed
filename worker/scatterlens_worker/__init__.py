"""What runs beside the gateway: the drain loop that annotates, and its Celery bell."""
