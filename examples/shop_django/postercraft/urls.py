"""The shop's routes."""

from django.urls import path
from shop import views

urlpatterns = [
    path("healthz", views.healthz),
    path("designs", views.start_design),
    path("designs/<str:design_id>/approve", views.approve_design),
    path("checkout", views.checkout),
    path("webhooks/stripe", views.stripe_webhook),
    path("orders/<str:order_id>", views.order),
]
