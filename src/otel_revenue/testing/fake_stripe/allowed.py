# SPDX-License-Identifier: Apache-2.0
"""
The parameters that Stripe's endpoints take, in any version since 2024-12-18 (stripe-python 11 to 16).

Anything else is answered with `parameter_unknown`, as Stripe does. Nested hashes are looked into where an app (or an
instrumentation of it) is likely to add something.
"""

from __future__ import annotations

from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ROUTES: Final[dict[str, frozenset[str]]] = {
    "POST /v1/checkout/sessions": _words(
        """
        adaptive_pricing after_expiration allow_promotion_codes allowed_payment_method_types automatic_tax
        billing_address_collection branding_settings cancel_url client_reference_id consent_collection currency
        custom_fields custom_text customer customer_account customer_creation customer_email customer_update
        discounts excluded_payment_method_types expand expires_at integration_identifier invoice_creation
        line_items locale managed_payments metadata mode name_collection optional_items origin_context
        payment_intent_data payment_method_collection payment_method_configuration payment_method_data
        payment_method_options payment_method_types permissions phone_number_collection redirect_on_completion
        return_url saved_payment_method_options setup_intent_data shipping_address_collection shipping_options
        submit_type subscription_data success_url tax_id_collection ui_mode wallet_options
        """
    ),
    "POST /v1/checkout/sessions/{}": _words(
        """
        collected_information expand line_items metadata payment_intent_data shipping_options
        """
    ),
    "GET /v1/checkout/sessions": _words(
        """
        created customer customer_account customer_details ending_before expand limit payment_intent
        payment_link starting_after status subscription
        """
    ),
    "POST /v1/payment_intents": _words(
        """
        allowed_payment_method_types amount amount_details application_fee_amount automatic_payment_methods
        capture_method confirm confirmation_method confirmation_token currency customer customer_account
        description error_on_requires_action excluded_payment_method_types expand hooks mandate mandate_data
        metadata off_session on_behalf_of payment_details payment_method payment_method_configuration
        payment_method_data payment_method_options payment_method_types radar_options receipt_email return_url
        setup_future_usage shipping statement_descriptor statement_descriptor_suffix transfer_data
        transfer_group use_stripe_sdk
        """
    ),
    "POST /v1/payment_intents/{}": _words(
        """
        allowed_payment_method_types amount amount_details application_fee_amount capture_method currency
        customer customer_account description excluded_payment_method_types expand hooks metadata
        payment_details payment_method payment_method_configuration payment_method_data payment_method_options
        payment_method_types receipt_email setup_future_usage shipping statement_descriptor
        statement_descriptor_suffix transfer_data transfer_group
        """
    ),
    "POST /v1/payment_intents/{}/confirm": _words(
        """
        allowed_payment_method_types amount_details amount_to_confirm capture_method confirmation_token
        error_on_requires_action excluded_payment_method_types expand hooks mandate mandate_data off_session
        payment_details payment_method payment_method_data payment_method_options payment_method_types
        radar_options receipt_email return_url setup_future_usage shipping use_stripe_sdk
        """
    ),
    "POST /v1/payment_intents/{}/capture": _words(
        """
        amount_details amount_to_capture application_fee_amount expand final_capture hooks metadata
        payment_details statement_descriptor statement_descriptor_suffix transfer_data
        """
    ),
    "POST /v1/payment_intents/{}/cancel": _words("cancellation_reason expand"),
    "GET /v1/payment_intents": _words("created customer customer_account ending_before expand limit starting_after"),
    "POST /v1/charges": _words(
        """
        amount application_fee application_fee_amount capture currency customer description destination expand
        metadata on_behalf_of radar_options receipt_email shipping source statement_descriptor
        statement_descriptor_suffix transfer_data transfer_group
        """
    ),
    "GET /v1/charges": _words(
        """
        created customer ending_before expand limit payment_intent starting_after transfer_group
        """
    ),
    "POST /v1/refunds": _words(
        """
        amount charge currency customer expand instructions_email metadata origin payment_intent reason
        refund_application_fee reverse_transfer
        """
    ),
    "POST /v1/refunds/{}": _words("expand metadata"),
    "GET /v1/disputes": _words("charge created ending_before expand limit payment_intent starting_after"),
    "POST /v1/disputes/{}": _words("evidence expand intended_submission_method metadata submit"),
    "GET /v1/refunds": _words("charge created ending_before expand limit payment_intent starting_after"),
    "POST /v1/customers": _words(
        """
        address balance business_name cash_balance coupon description email expand individual_name
        invoice_prefix invoice_settings metadata name next_invoice_sequence payment_method phone
        preferred_locales promotion_code shipping source tax tax_exempt tax_id_data test_clock validate
        """
    ),
    "POST /v1/customers/{}": _words(
        """
        address balance business_name cash_balance coupon default_source description email expand
        individual_name invoice_prefix invoice_settings metadata name next_invoice_sequence phone
        preferred_locales promotion_code shipping source tax tax_exempt validate
        """
    ),
    "GET /v1/customers": _words("created email ending_before expand limit starting_after test_clock"),
    "POST /v1/products": _words(
        """
        active default_price_data description expand id images marketing_features metadata name
        package_dimensions shippable statement_descriptor tax_code tax_details type unit_label url
        """
    ),
    "GET /v1/products": _words("active created ending_before expand ids limit shippable starting_after type url"),
    "POST /v1/prices": _words(
        """
        active billing_scheme currency currency_options custom_unit_amount expand lookup_key metadata nickname
        product product_data recurring tax_behavior tiers tiers_mode transfer_lookup_key transform_quantity
        unit_amount unit_amount_decimal
        """
    ),
    "GET /v1/prices": _words(
        """
        active created currency ending_before expand limit lookup_keys product recurring starting_after type
        """
    ),
    "POST /v1/products/{}": _words(
        """
        active default_price description expand images marketing_features metadata name package_dimensions
        shippable statement_descriptor tax_code tax_details unit_label url
        """
    ),
    "POST /v1/prices/{}": _words(
        """
        active currency_options expand lookup_key metadata nickname tax_behavior transfer_lookup_key
        """
    ),
    "POST /v1/coupons/{}": _words("currency_options expand metadata name"),
    "POST /v1/promotion_codes/{}": _words("active expand metadata restrictions"),
    "POST /v1/tax_rates/{}": _words(
        """
        active country description display_name expand jurisdiction metadata state tax_type
        """
    ),
    "POST /v1/payment_links/{}": _words(
        """
        active after_completion allow_promotion_codes application_fee_amount application_fee_percent automatic_tax
        billing_address_collection consent_collection custom_fields custom_text customer_creation expand
        inactive_message invoice_creation line_items metadata name_collection on_behalf_of optional_items
        payment_intent_data payment_method_collection payment_method_options payment_method_types
        phone_number_collection restrictions shipping_address_collection shipping_options submit_type
        subscription_data tax_id_collection transfer_data
        """
    ),
    "GET /v1/payment_links": _words("active ending_before expand limit starting_after"),
    "POST /v1/setup_intents": _words(
        """
        allowed_payment_method_types attach_to_self automatic_payment_methods confirm confirmation_token customer
        customer_account description excluded_payment_method_types expand flow_directions mandate_data metadata
        on_behalf_of payment_method payment_method_configuration payment_method_data payment_method_options
        payment_method_types return_url single_use usage use_stripe_sdk
        """
    ),
    "POST /v1/setup_intents/{}/confirm": _words(
        """
        allowed_payment_method_types confirmation_token expand mandate_data payment_method payment_method_data
        payment_method_options return_url use_stripe_sdk
        """
    ),
    "POST /v1/setup_intents/{}/cancel": _words("cancellation_reason expand"),
    "POST /v1/coupons": _words(
        """
        amount_off applies_to currency currency_options duration duration_in_months expand id max_redemptions
        metadata name percent_off redeem_by
        """
    ),
    "POST /v1/promotion_codes": _words(
        """
        active code coupon customer customer_account expand expires_at max_redemptions metadata promotion
        restrictions
        """
    ),
    "POST /v1/tax_rates": _words(
        """
        active country description display_name expand inclusive jurisdiction metadata percentage state tax_type
        """
    ),
    "POST /v1/payment_methods": _words(
        """
        acss_debit affirm afterpay_clearpay alipay allow_redisplay alma amazon_pay au_becs_debit bacs_debit
        bancontact billie billing_details bizum blik boleto card cashapp crypto custom customer customer_balance
        eps expand fpx giropay grabpay ideal interac_present kakao_pay klarna konbini kr_card link mb_way
        metadata mobilepay multibanco naver_pay nz_bank_account oxxo p24 pay_by_bank payco payment_method paynow
        paypal paypay payto pix promptpay radar_options revolut_pay samsung_pay satispay scalapay sepa_debit
        sequra sofort sunbit swish twint type upi us_bank_account wechat_pay zip
        """
    ),
    "POST /v1/payment_methods/{}/attach": _words("customer customer_account expand"),
    "POST /v1/payment_links": _words(
        """
        after_completion allow_promotion_codes application_fee_amount application_fee_percent automatic_tax
        billing_address_collection consent_collection currency custom_fields custom_text customer_creation
        expand inactive_message invoice_creation line_items managed_payments metadata name_collection
        on_behalf_of optional_items payment_intent_data payment_method_collection payment_method_options
        payment_method_types phone_number_collection restrictions shipping_address_collection shipping_options
        submit_type subscription_data tax_id_collection transfer_data
        """
    ),
    "POST /v1/subscriptions": _words(
        """
        add_invoice_items application_fee_percent automatic_tax backdate_start_date billing_cycle_anchor
        billing_cycle_anchor_config billing_mode billing_schedules billing_thresholds cancel_at
        cancel_at_period_end collection_method coupon currency customer customer_account days_until_due
        default_payment_method default_source default_tax_rates description discounts expand invoice_settings
        items metadata off_session on_behalf_of payment_behavior payment_settings pending_invoice_item_interval
        promotion_code proration_behavior transfer_data trial_end trial_from_plan trial_period_days
        trial_settings
        """
    ),
    "POST /v1/subscriptions/{}": _words(
        """
        add_invoice_items application_fee_percent automatic_tax billing_cycle_anchor billing_schedules
        billing_thresholds cancel_at cancel_at_period_end cancellation_details collection_method coupon
        days_until_due default_payment_method default_source default_tax_rates description discounts expand
        invoice_settings items metadata off_session on_behalf_of pause_collection payment_behavior
        payment_settings pending_invoice_item_interval promotion_code proration_behavior proration_date
        transfer_data trial_end trial_from_plan trial_settings
        """
    ),
    "GET /v1/subscriptions": _words(
        """
        automatic_tax collection_method created current_period_end current_period_start customer
        customer_account ending_before expand limit plan price starting_after status test_clock
        """
    ),
    "DELETE /v1/subscriptions/{}": _words("cancellation_details expand invoice_now prorate"),
    "POST /v1/invoices": _words(
        """
        account_tax_ids application_fee_amount auto_advance automatic_tax automatically_finalizes_at
        collection_method currency custom_fields customer customer_account days_until_due default_payment_method
        default_source default_tax_rates description discounts due_date effective_at expand footer from_invoice
        issuer metadata number on_behalf_of payment_settings pending_invoice_items_behavior rendering
        shipping_cost shipping_details statement_descriptor subscription transfer_data
        """
    ),
    "POST /v1/invoices/{}": _words(
        """
        account_tax_ids application_fee_amount auto_advance automatic_tax automatically_finalizes_at
        collection_method custom_fields days_until_due default_payment_method default_source default_tax_rates
        description discounts due_date effective_at expand footer issuer metadata number on_behalf_of
        payment_settings rendering shipping_cost shipping_details statement_descriptor transfer_data
        """
    ),
    "GET /v1/invoices": _words(
        """
        collection_method created customer customer_account due_date ending_before expand limit starting_after
        status subscription
        """
    ),
    "POST /v1/invoices/{}/finalize": _words("auto_advance expand"),
    "POST /v1/invoices/{}/pay": _words("expand forgive mandate off_session paid_out_of_band payment_method source"),
    "POST /v1/invoices/{}/attach_payment": _words("expand payment_intent payment_record"),
    "POST /v1/invoices/{}/void": _words("expand"),
    "POST /v1/invoiceitems": _words(
        """
        amount currency customer customer_account description discountable discounts expand invoice metadata
        period price price_data pricing quantity quantity_decimal subscription tax_behavior tax_code tax_rates
        unit_amount unit_amount_decimal
        """
    ),
    "GET /v1/invoice_payments": _words("created ending_before expand invoice limit payment starting_after status"),
    "GET /v1/events": _words("created delivery_success ending_before expand limit starting_after type types"),
}

NESTED: Final[dict[str, frozenset[str]]] = {
    "payment_intent_data": _words(
        """
        application_fee_amount capture_method description metadata on_behalf_of receipt_email setup_future_usage
        shipping statement_descriptor statement_descriptor_suffix transfer_data transfer_group
        """
    ),
    "subscription_data": _words(
        """
        application_fee_percent billing_cycle_anchor billing_cycle_anchor_config billing_mode default_tax_rates
        description invoice_settings metadata on_behalf_of pending_invoice_item_interval proration_behavior
        transfer_data trial_end trial_period_days trial_settings
        """
    ),
    "line_items": _words("adjustable_quantity dynamic_tax_rates metadata price price_data quantity tax_rates"),
    "price_data": _words("currency product product_data recurring tax_behavior unit_amount unit_amount_decimal"),
    "product_data": _words("description images metadata name tax_code tax_details unit_label"),
}
"""Parameters of hashes inside a Checkout Session's or Payment Link's parameters, by the hash's name."""
