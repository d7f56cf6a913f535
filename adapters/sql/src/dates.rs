//! Dates and times as legacy systems write them.

use jiff::civil::{Date, DateTime};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::{Offset, TimeZone};

/// A text that is not a date or time of its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotATime;

/// Checks that a `format` can be read.
pub(crate) fn check_format(format: &str) -> Result<(), String> {
    let known = |c: char| "YymdHMSfTFzbBjeDR%.:".contains(c);
    let mut chars = format.chars();
    let mut letters = 0;
    while let Some(c) = chars.next() {
        if c == '%' {
            match chars.next() {
                Some(letter) if known(letter) => letters += 1,
                _ => return Err("`format` has a letter after % that is not known".to_owned()),
            }
        }
    }
    if letters == 0 || format.len() > 64 {
        return Err("`format` is written in strftime letters, such as %Y-%m-%d".to_owned());
    }
    Ok(())
}

/// Reads a date; without a format as `YYYY-MM-DD`. A format that names no day means the first of the
/// month.
pub(crate) fn parse_date(text: &str, format: Option<&str>) -> Result<Date, NotATime> {
    let Some(format) = format else {
        let date: Date = text.parse().map_err(|_| NotATime)?;
        return if date.to_string() == text {
            Ok(date)
        } else {
            Err(NotATime)
        };
    };
    let mut parts = BrokenDownTime::parse(format, text).map_err(|_| NotATime)?;
    if parts.day().is_none() {
        parts.set_day(Some(1)).map_err(|_| NotATime)?;
    }
    parts.to_date().map_err(|_| NotATime)
}

/// The date of a column; where a time of day follows, it is left out.
pub(crate) fn parse_column_date(text: &str, format: Option<&str>) -> Result<Date, NotATime> {
    match (format, text.split_once([' ', 'T'])) {
        (None, Some((day, _))) => parse_date(day, None),
        _ => parse_date(text, format),
    }
}

/// Reads a point in time. One without an offset of its own needs a zone.
pub(crate) fn parse_timestamp(
    text: &str,
    format: Option<&str>,
    zone: Option<Offset>,
) -> Result<jiff::Timestamp, NotATime> {
    let at = |civil: DateTime| {
        let zone = TimeZone::fixed(zone.ok_or(NotATime)?);
        let zoned = civil.to_zoned(zone).map_err(|_| NotATime)?;
        Ok(zoned.timestamp())
    };
    if let Some(format) = format {
        let parts = BrokenDownTime::parse(format, text).map_err(|_| NotATime)?;
        return match parts.to_timestamp() {
            Ok(time) => Ok(time),
            Err(_) => at(parts.to_datetime().map_err(|_| NotATime)?),
        };
    }
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    at(text.parse().map_err(|_| NotATime)?)
}

/// Reads `UTC` or a fixed offset such as `-05:00`.
pub(crate) fn parse_zone(text: &str) -> Result<Offset, String> {
    let wrong = || "`zone` is UTC or an offset such as -05:00; named zones come later".to_owned();
    if text == "UTC" {
        return Ok(Offset::UTC);
    }
    let (sign, rest) = match text.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(wrong()),
    };
    let (hours, minutes) = rest.split_once(':').ok_or_else(wrong)?;
    let number = |text: &str, below: i32| {
        let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let number = plain.then(|| text.parse::<i32>().ok()).flatten();
        number.filter(|number| *number < below)
    };
    let hours = number(hours, 24).ok_or_else(wrong)?;
    let minutes = number(minutes, 60).ok_or_else(wrong)?;
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dates_in_the_forms_legacy_systems_write() {
        for (text, format, date) in [
            ("2024-05-03", None, "2024-05-03"),
            ("2024-05-03 00:00:00", None, "2024-05-03"),
            ("20240503", Some("%Y%m%d"), "2024-05-03"),
            ("03/05/2024", Some("%d/%m/%Y"), "2024-05-03"),
            ("2024-05", Some("%Y-%m"), "2024-05-01"),
        ] {
            let read = parse_column_date(text, format).unwrap();
            assert_eq!(read.to_string(), date, "{text}");
        }
        for (text, format) in [
            ("2024-02-30", None),
            ("2024-05-03x", None),
            ("2024-05-03 00:00:00", None),
            ("+002024-05-03", None),
            ("", None),
            ("é024-05-03", None),
            ("20240503 ", Some("%Y%m%d")),
            ("00000000", Some("%Y%m%d")),
        ] {
            assert_eq!(parse_date(text, format), Err(NotATime), "{text}");
        }
    }

    #[test]
    fn a_time_without_an_offset_needs_a_zone() {
        let zone = parse_zone("-05:00").unwrap();
        for (text, zone, time) in [
            ("2024-05-03T10:00:00Z", None, "2024-05-03T10:00:00Z"),
            ("2024-05-03 10:00:00.5+00", None, "2024-05-03T10:00:00.5Z"),
            ("2024-05-03 10:00:00-04", None, "2024-05-03T14:00:00Z"),
            ("2024-05-03 10:00:00", Some(zone), "2024-05-03T15:00:00Z"),
        ] {
            let read = parse_timestamp(text, None, zone).unwrap();
            assert_eq!(read.to_string(), time, "{text}");
        }
        assert!(parse_timestamp("2024-05-03 10:00:00", None, None).is_err());
        assert!(parse_timestamp("infinity", None, Some(zone)).is_err());
        for zone in ["America/Toronto", "05:00", "+5:00", "+25:00", "+05:60", ""] {
            assert!(parse_zone(zone).is_err(), "{zone}");
        }
    }
}
