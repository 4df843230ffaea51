-- The tables of the demo database `app`: a small shop.
--
-- Run by the owner of the database, who is no superuser, in one transaction with the files that follow. Keys between
-- the tables come last (03_keys.sql): filling a table is much faster without them.

CREATE TABLE customers (
    customer_id integer     NOT NULL,
    full_name   text        NOT NULL,
    email       text        NOT NULL,
    city        text        NOT NULL,
    country     text        NOT NULL CHECK (country ~ '^[A-Z]{2}$'),
    created_at  timestamptz NOT NULL
);

CREATE TABLE products (
    product_id  integer       NOT NULL,
    sku         text          NOT NULL,
    name        text          NOT NULL,
    category    text          NOT NULL,
    price       numeric(10,2) NOT NULL CHECK (price > 0)
);

CREATE TABLE orders (
    order_id    integer       NOT NULL,
    customer_id integer       NOT NULL,
    status      text          NOT NULL CHECK (status IN ('placed', 'paid', 'shipped', 'delivered', 'cancelled')),
    placed_at   timestamptz   NOT NULL,
    total       numeric(12,2) NOT NULL CHECK (total >= 0)
);

CREATE TABLE order_items (
    order_id    integer       NOT NULL,
    line        smallint      NOT NULL CHECK (line > 0),
    product_id  integer       NOT NULL,
    quantity    smallint      NOT NULL CHECK (quantity > 0),
    unit_price  numeric(10,2) NOT NULL
);

CREATE TABLE invoices (
    invoice_id  integer       NOT NULL,
    order_id    integer       NOT NULL,
    number      text          NOT NULL,
    issued_at   timestamptz   NOT NULL,
    due_on      date          NOT NULL,
    amount      numeric(12,2) NOT NULL,
    paid_at     timestamptz
);

COMMENT ON TABLE customers   IS 'People who buy. Made up: every address ends in example.com, .net or .org.';
COMMENT ON TABLE products    IS 'What is sold.';
COMMENT ON TABLE orders      IS 'What was bought, by whom and when.';
COMMENT ON TABLE order_items IS 'The lines of an order, at the price of that day.';
COMMENT ON TABLE invoices    IS 'What was billed: one invoice for each order that was shipped.';
