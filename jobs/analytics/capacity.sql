-- One row per link and direction, or without a topology per service: how full it is in its busy hour, and when it will be full.

with

-- Minutes without a row of a subject are minutes of 0, if anybody spoke in them.
covered as (
  select distinct minute from named_conversation
),

covered_hours as (
  select hour(minute) as hour_of_day, count(*) as minutes from covered group by hour(minute)
),

covered_days as (
  select cast(minute as date) as day, count(*) as minutes from covered group by cast(minute as date)
),

subjects as (
  select subject, max(capacity_bps) as capacity_bps, sum(bits) as bits from subject_minute group by subject
),

-- The busy hour is the hour of the day with the greatest mean.
hours as (
  select
    m.subject, h.hour_of_day, h.minutes,
    row_number() over (partition by m.subject order by sum(m.bits) / h.minutes desc, h.hour_of_day) as rank
  from subject_minute m
  join covered_hours h on h.hour_of_day = hour(m.minute)
  group by m.subject, h.hour_of_day, h.minutes
),

busy_minutes as (
  select
    m.subject, m.bits, h.hour_of_day, h.minutes,
    row_number() over (partition by m.subject order by m.bits desc) as rank
  from subject_minute m
  join hours h on h.subject = m.subject and h.rank = 1 and h.hour_of_day = hour(m.minute)
),

-- The rate that 95, or 99, of 100 minutes stay within.
busy as (
  select
    subject, max(hour_of_day) as busy_hour, max(minutes) as busy_minutes,
    coalesce(max(case when rank > minutes - ceil(0.95 * minutes) then bits end), 0) / 60.0 as p95_bps,
    coalesce(max(case when rank > minutes - ceil(0.99 * minutes) then bits end), 0) / 60.0 as p99_bps,
    max(bits) / 60.0 as peak_bps
  from busy_minutes
  group by subject
),

day_minutes as (
  select
    m.subject, d.day, d.minutes, m.bits,
    row_number() over (partition by m.subject, d.day order by m.bits desc) as rank
  from subject_minute m
  join covered_days d on d.day = cast(m.minute as date)
),

day_rates as (
  select
    subject, unix_date(day) as day_number,
    coalesce(max(case when rank > minutes - ceil(0.95 * minutes) then bits end), 0) / 60.0 as p95_bps
  from day_minutes
  group by subject, day, minutes
),

-- Days of which there is nothing of a subject count as 0.
trends as (
  select
    s.subject,
    count(*) as days,
    max(unix_date(d.day)) as last_day,
    regr_slope(coalesce(r.p95_bps, 0), unix_date(d.day)) as bps_per_day,
    regr_intercept(coalesce(r.p95_bps, 0), unix_date(d.day)) as bps_at_0
  from subjects s
  cross join covered_days d
  left join day_rates r on r.subject = s.subject and r.day_number = unix_date(d.day)
  group by s.subject
),

-- A line through fewer than three days says nothing.
fitted as (
  select
    subject, days, last_day,
    case when days >= 3 then bps_per_day end as bps_per_day,
    case when days >= 3 then bps_at_0 + bps_per_day * last_day end as bps_now
  from trends
),

-- Full is 100 of 100; more than ten years away is not told.
final as (
  select
    s.subject,
    cast(s.capacity_bps as bigint) as capacity_bps,
    b.busy_hour, b.busy_minutes,
    cast(round(b.p95_bps) as bigint) as p95_bps,
    cast(round(b.p99_bps) as bigint) as p99_bps,
    cast(round(b.peak_bps) as bigint) as peak_bps,
    round(100.0 * b.p95_bps / s.capacity_bps, 2) as p95_percent,
    f.days,
    cast(round(f.bps_per_day) as bigint) as growth_bps_per_day,
    case
      when f.bps_now >= 0.8 * s.capacity_bps then date_from_unix_date(cast(f.last_day as int))
      when f.bps_per_day > 0 and (0.8 * s.capacity_bps - f.bps_now) / f.bps_per_day < 3650
      then date_from_unix_date(cast(f.last_day + ceil((0.8 * s.capacity_bps - f.bps_now) / f.bps_per_day - 1e-6) as int))
    end as full_to_80_percent,
    case
      when f.bps_now >= s.capacity_bps then date_from_unix_date(cast(f.last_day as int))
      when f.bps_per_day > 0 and (s.capacity_bps - f.bps_now) / f.bps_per_day < 3650
      then date_from_unix_date(cast(f.last_day + ceil((s.capacity_bps - f.bps_now) / f.bps_per_day - 1e-6) as int))
    end as full
  from subjects s
  join busy b on b.subject = s.subject
  join fitted f on f.subject = s.subject
)

select * from final
order by coalesce(p95_percent, 0) desc, p95_bps desc, subject
