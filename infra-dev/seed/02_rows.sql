-- The rows: 12,000 customers, 240 products, 75,000 orders with about 150,000 lines, about 72,000 invoices.
--
-- The same rows on every machine and every version of Postgres: they come from arithmetic on the row number, not from
-- random(), whose sequence for one seed differs between versions. Dates are fixed for the same reason.

-- Compiling these statements would take longer than running them, and the sorts fit into memory.
SET LOCAL jit = off;
SET LOCAL work_mem = '32MB';

-- A number from 0 to `below` - 1 that looks like chance. `salt` keeps the columns of one row apart: it changes the
-- factor, not only the start, or one column would tell the next.
CREATE FUNCTION pg_temp.pick(row_number bigint, salt bigint, below bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE AS
$$ SELECT (((row_number * (2654435761 + salt * 40503017) % 4294967291) * 1103515245 % 2147483647) >> 7) % below $$;

INSERT INTO products
SELECT n,
       format('%s-%s', upper(left(kinds[1 + kind], 3)), lpad((1000 + n)::text, 5, '0')),
       format('%s %s', looks[1 + pg_temp.pick(n, 2, 12)], things[1 + (n - 1) % 20]),
       kinds[1 + kind],
       (3 + pg_temp.pick(n, 3, 240) + 0.95)::numeric(10,2)
FROM generate_series(1, 240) AS n,
     LATERAL (SELECT ((n - 1) % 20) / 4 AS kind) AS k,
     (SELECT ARRAY['kitchen', 'garden', 'office', 'travel', 'sport'] AS kinds,
             ARRAY['Oak', 'Steel', 'Blue', 'Compact', 'Classic', 'Light', 'Large', 'Copper', 'Felt', 'Grey', 'Folding',
                   'Everyday'] AS looks,
             ARRAY['Kettle', 'Pan', 'Chopping Board', 'Jar', 'Rake', 'Watering Can', 'Bench', 'Lantern', 'Notebook',
                   'Desk Lamp', 'Pen Set', 'Shelf', 'Backpack', 'Bottle', 'Umbrella', 'Case', 'Ball', 'Mat', 'Rope',
                   'Racket'] AS things) AS words;

INSERT INTO customers
SELECT n,
       first_name || ' ' || last_name,
       format('%s.%s.%s@example.%s', lower(first_name), lower(last_name), n,
              (ARRAY['com', 'net', 'org'])[1 + pg_temp.pick(n, 13, 3)]),
       places[place][1],
       places[place][2],
       timestamptz '2022-01-01 00:00:00+00' + make_interval(days => pg_temp.pick(n, 14, 1095)::integer,
                                                              secs => pg_temp.pick(n, 15, 86400)::double precision)
FROM generate_series(1, 12000) AS n,
     LATERAL (SELECT first_names[1 + pg_temp.pick(n, 10, 40)] AS first_name,
                     last_names[1 + pg_temp.pick(n, 11, 40)] AS last_name,
                     1 + pg_temp.pick(n, 12, 20) AS place
              FROM (SELECT ARRAY['Ada', 'Alan', 'Amira', 'Anton', 'Bea', 'Ben', 'Carla', 'Chen', 'Dana', 'David', 'Elena',
                                 'Emil', 'Fatima', 'Felix', 'Grace', 'Hana', 'Hugo', 'Ines', 'Ivan', 'Jonas', 'Julia',
                                 'Kai', 'Lena', 'Leo', 'Maya', 'Milan', 'Nadia', 'Noah', 'Olga', 'Omar', 'Paula', 'Petra',
                                 'Rosa', 'Samir', 'Sofia', 'Theo', 'Uma', 'Vera', 'Yusuf', 'Zoe'] AS first_names,
                           ARRAY['Abel', 'Adler', 'Baker', 'Berg', 'Castro', 'Costa', 'Dumont', 'Eriksen', 'Farah',
                                 'Fischer', 'Garcia', 'Gruber', 'Haas', 'Hansen', 'Ito', 'Jansen', 'Kaya', 'Keller',
                                 'Khan', 'Kovac', 'Lang', 'Larsen', 'Lopez', 'Marino', 'Mehta', 'Moreau', 'Nakata',
                                 'Novak', 'Okafor', 'Peeters', 'Quinn', 'Rossi', 'Sato', 'Silva', 'Stone', 'Tanaka',
                                 'Varga', 'Weber', 'Yilmaz', 'Zhang'] AS last_names) AS lists) AS person,
     (SELECT ARRAY[['Amsterdam', 'NL'], ['Athens', 'GR'], ['Barcelona', 'ES'], ['Berlin', 'DE'], ['Bologna', 'IT'],
                   ['Bristol', 'GB'], ['Brussels', 'BE'], ['Copenhagen', 'DK'], ['Dublin', 'IE'], ['Graz', 'AT'],
                   ['Hamburg', 'DE'], ['Krakow', 'PL'], ['Lisbon', 'PT'], ['Lyon', 'FR'], ['Oslo', 'NO'],
                   ['Prague', 'CZ'], ['Riga', 'LV'], ['Turin', 'IT'], ['Vienna', 'AT'], ['Zurich', 'CH']] AS places)
     AS cities;

-- One to three lines an order. `total` is their sum, so the tables agree with one another.
INSERT INTO order_items
SELECT n, line, p.product_id, 1 + pg_temp.pick(n * 4 + line, 21, 4), p.price
FROM generate_series(1, 75000) AS n,
     generate_series(1, 3) AS line
     JOIN products AS p ON true
WHERE line <= 1 + pg_temp.pick(n, 20, 3)
  AND p.product_id = 1 + pg_temp.pick(n * 4 + line, 22, 240);

-- Nobody buys before they are a customer, and nothing is placed after 2025. OFFSET 0: work the moment out once a row.
INSERT INTO orders
SELECT n, customer_id,
       CASE WHEN placed_at > timestamptz '2025-12-30 00:00:00+00' THEN 'placed'
            WHEN placed_at > timestamptz '2025-12-28 00:00:00+00' THEN 'paid'
            WHEN chance < 4 THEN 'cancelled'
            WHEN placed_at > timestamptz '2025-12-20 00:00:00+00' THEN 'shipped'
            ELSE 'delivered' END,
       placed_at, total
FROM (SELECT n, customer_id, pg_temp.pick(n, 30, 100) AS chance, sums.total,
             date_trunc('second', created_at + (timestamptz '2026-01-01 00:00:00+00' - created_at)
                                               * (pg_temp.pick(n, 32, 10000)::double precision / 10000)) AS placed_at
      FROM generate_series(1, 75000) AS n
           JOIN (SELECT order_id, sum(quantity * unit_price) AS total FROM order_items GROUP BY order_id) AS sums
             ON sums.order_id = n
           JOIN customers ON customer_id = 1 + pg_temp.pick(n, 31, 12000)
      OFFSET 0) AS placed
ORDER BY n;

INSERT INTO invoices
SELECT row_number() OVER (ORDER BY placed_at, order_id), order_id,
       format('INV-%s-%s', to_char(placed_at AT TIME ZONE 'UTC', 'YYYY'), lpad(order_id::text, 6, '0')),
       placed_at + interval '1 day', (placed_at AT TIME ZONE 'UTC')::date + 31, total,
       CASE WHEN pg_temp.pick(order_id, 40, 100) < 88
            THEN placed_at + make_interval(days => 2 + pg_temp.pick(order_id, 41, 25)::integer) END
FROM orders
WHERE status IN ('shipped', 'delivered');
