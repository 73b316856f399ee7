# Verify mails with Mail::DKIM: dkim_verify.pl RECORDS MAIL...
# RECORDS has lines "name value" with TXT records. Prints a line a mail: the result of each signature.
use strict;
use warnings;
use Mail::DKIM::Verifier;
use Net::DNS;

package Records;
sub new { my ( $class, $file ) = @_; my %of;
    open my $in, '<', $file or die "$file: $!";
    while (<$in>) { chomp; my ( $name, $value ) = split / /, $_, 2; $of{$name} = $value }
    return bless { of => \%of }, $class }
sub errorstring { 'NOERROR' }
sub send { my ( $self, $name, $type ) = @_;
    my $packet = Net::DNS::Packet->new( $name, $type );
    my $value  = $self->{of}{$name};
    $packet->push( answer => Net::DNS::RR->new( name => $name, type => 'TXT', txtdata => [ unpack '(A255)*', $value ] ) )
        if defined $value;
    return $packet }

package main;
Mail::DKIM::DNS::resolver( Records->new( shift @ARGV ) );
for my $file (@ARGV) {
    my $verifier = Mail::DKIM::Verifier->new;
    open my $in, '<:raw', $file or die "$file: $!";
    $verifier->PRINT($_) while <$in>;
    $verifier->CLOSE;
    print join( ' ', map { $_->algorithm . '=' . $_->result } $verifier->signatures ), "\n";
}
